"""The routes of FlowAPI, by subject."""

from fastapi import APIRouter

from flowapi.routes import data, description, health, queries, results

router = APIRouter()
for subject in (queries, results, data, health, description):
    router.include_router(subject.router)
